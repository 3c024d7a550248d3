"""The code that a run ran: what git says, archives, and trees rebuilt from them."""
