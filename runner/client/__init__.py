"""Who talks to the server? The only network call in the house, and its failures.

Importing this loads the SDK (0.3 s, 50 MB): only workers should.

Floor: doors and rules, above answers. The one door to openai and httpx2.
"""

from runner.client.calling import Client
from runner.client.settings import ClientSettings

__all__ = ["Client", "ClientSettings"]
