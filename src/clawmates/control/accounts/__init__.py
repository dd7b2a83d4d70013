"""Who people are to us: an address, their sessions and passkeys; and the links that prove the address."""
