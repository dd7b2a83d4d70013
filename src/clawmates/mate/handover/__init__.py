"""From one life of a bot to the next: its context in RAM, sealed by the old container to a key born in the new one.

Nothing here is imported before a hand-over happens: an idle mate pays nothing for it.
"""
