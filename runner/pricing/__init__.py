"""What did it cost, and what can it cost at most?

    pricebook  what is known of a model        own        prices the user gives
    genai      prices of genai_prices

`PriceBook` prices answers and requests, `parse_price` reads `--price`. What is
not known is None, never 0.

Floor: doors and rules. Knows config and records. The one door to genai_prices.
"""

from runner.pricing.own import parse_price
from runner.pricing.pricebook import PriceBook

__all__ = ["PriceBook", "parse_price"]
