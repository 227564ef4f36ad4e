"""The static site: everything of the lab that needs no cluster, to be read from a folder."""
