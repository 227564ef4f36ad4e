"""Tables, figures and words for what was judged."""
