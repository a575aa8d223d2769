"""What does made-up text read like?

Owns the words. Plain English, so that a demo's answers look like answers.

Floor: simulator, bottom. Knows nobody.
"""

import random

_TEXT = """
    the night shift reads every line twice and keeps a careful record of what was
    asked a short answer often holds more than long one when question is clear most
    readers look for first sentence then decide whether to go on in this case evidence
    points both ways but later pages settle matter quiet work counts each step can be
    checked by anyone who cares morning brings result with bill explained nothing lost
    nothing paid for again good tools say what they know and admit what remains open
"""
_WORDS = tuple(_TEXT.split())
REFUSAL = "I'm sorry, but I can't assist with that request."


def words(count: int, random_: random.Random) -> str:
    """That many words, without punctuation."""
    return " ".join(random_.choices(_WORDS, k=count))


def sentences(about: int, random_: random.Random) -> str:
    """Text of about that many words, in sentences."""
    left = max(1, round(about * random_.uniform(0.5, 1.5)))
    text = []
    while left > 0:
        length = min(left, random_.randint(5, 12))
        text.append(words(length, random_).capitalize() + ".")
        left -= length
    return " ".join(text)
