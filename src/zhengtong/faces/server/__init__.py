"""How one node listens.

pages.py       baked pages answered from memory; negotiation.py reads the request's wishes
front.py       answers them before the engine on a node with public pages, and passes the rest on;
               simple_get.py is the little it reads of HTTP
rsgi.py        the application: baked page, live stream, or Django, in that order
streams.py     server-sent events and long polling
wsgi.py        the bridge to a WSGI application on a fixed pool of threads
uploads.py     request bodies, spooled and limited
refusals.py    the few pages the server itself shows
engine.py      the only file that knows the inside of granian
exchange_port.py  where other nodes dial, over TLS; exchange_request.py and scope.py: a request
web.py         one web process; the children that make up a node's web part
supervisor.py  keeps a node's processes alive; child.py is one of them, restarts.py says when
"""
