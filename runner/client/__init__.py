"""Who talks to the server? The only network call in the house, and its failures.

    calling      one send through the SDK      settings    to whom
    flights      how far a call has come
    connections  one for each call             proxied     the way by a proxy
    wire         bytes out and in              incoming    what comes in
    head         what a reply's head says      session     what the SDK is given for it
    peeking      is anything there to read?    unpacking   a packed answer
    replies      what has come back            failures    why there is no answer
    error_shapes what an error body says       headers     which are kept

Importing this loads the SDK (0.3 s, 50 MB): only workers should.

Floor: doors and rules. Above answers. The one door to openai and httpx2.
"""

from runner.client.calling import Client
from runner.client.settings import ClientSettings

__all__ = ["Client", "ClientSettings"]
