"""Shows what was judged: tables, figures, explanations, and their wording."""
