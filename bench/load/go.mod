module mercato.dev/bench/load

go 1.25
