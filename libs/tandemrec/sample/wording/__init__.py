"""The words of the sample: what the shop sells and how its customers write, as tables, and how reviews are composed."""
