"""What runs inside the contestants, found there through their Python path; and the marks that it leaves."""
