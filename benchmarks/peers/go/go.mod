module rota/benchmarks/peers/go

go 1.19
