"""Workers in processes of their own: shared memory, messages, and what happens when one dies."""
