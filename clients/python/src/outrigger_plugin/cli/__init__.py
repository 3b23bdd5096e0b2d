"""The program ``outrigger``."""
