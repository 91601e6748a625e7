"""What makes shared memory unsafe or fragile on a host: one function a check, and the table of them."""
