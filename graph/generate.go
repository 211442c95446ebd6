package graph

//go:generate go -C .. tool gqlgen
//go:generate go run trim.go
