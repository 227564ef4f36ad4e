"""What a machine lacks, found out by trying it."""
