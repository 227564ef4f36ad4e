module lab/stack

go 1.26.0
