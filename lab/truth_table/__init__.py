"""The truth table: what a mesh does with every combination that a user can run into, measured."""
