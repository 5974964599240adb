"""The exchange protocol: what nodes say to each other and how anyone proves it later.

Sans-I/O: every function takes bytes and returns bytes or typed values; clock and randomness
are arguments. Nothing here imports Django or any other part of the platform, so the package
works alone. Read it in this order:

    errors      why something is refused, in words
    cbor        the strict encoding (RFC 8949 §4.2)
    suite intl  the cryptography behind one interface
                                                    gm        the national one, when it is met
    keys        who a node is
    cose        signed structures (COSE_Sign1)      encrypt     sealed bodies (COSE_Encrypt)
    envelope    one letter                          tree_signature: one signature for many letters
    merkle log  a node's evidence log               checkpoint  its signed head
    receipts    what became of a letter, proven from the receiver's log (RFC 9942)
    batch       one turn on a link: letters of a lane, receipts, and where both ends stand
    link        what each end keeps of a link       store       where it lies
    exchange    the state machine: number, compose, accept
    attest      statements outside any exchange
    witness     neighbours watch each other's logs  opening     the letters of a batch
    evidence    one file that proves a road         evidence_check, verifier: judging it
    timestamp   an authority's word on a checkpoint bare        signatures without any library

`docs/protocol.md` says the same for those who write their own.
"""

try:
    from zhengtong.wire import intl as intl  # registers the default suite
except ImportError:  # the one-file verifier on a machine without libraries
    from zhengtong.wire.bare_suite import READING, READING_GM
    from zhengtong.wire.suite import register

    register(READING)
    register(READING_GM)
