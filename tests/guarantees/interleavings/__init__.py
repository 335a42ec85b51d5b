"""What overlapping requests of one session do to each other, in every order of their store calls.

``schedule`` runs requests in every order, ``scripts`` says what a request may do and what that
means, ``stage`` is where they are played, and ``reference`` is the model that
decides what must be true afterwards.
"""
