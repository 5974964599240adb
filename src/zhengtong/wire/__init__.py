"""The exchange protocol: what nodes say to each other and how anyone proves it later.

Sans-I/O: every function takes bytes and returns bytes or typed values; clock and randomness
are arguments. Nothing here imports Django or any other part of the platform, so the package
works alone. Read it in this order:

    errors      why something is refused, in words
    cbor        the strict encoding (RFC 8949 §4.2)
    suite intl  the cryptography behind one interface
                                                    gm        the national one, when it is met
    keys        who a node is
    cose        signed structures (COSE_Sign1)      encrypt   sealed bodies (COSE_Encrypt)
    envelope    one letter                          batch     one dial: letters and answers
    receipts    signed delivery                     link      sequence rules and back-off
    merkle      the evidence log                    checkpoint its signed head
    evidence    one file that proves a road         evidence_check, verifier: judging it
"""

from zhengtong.wire import intl as intl  # registers the default suite
