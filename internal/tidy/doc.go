// Package tidy holds the laws of how Souk's code is laid out, as tests: which
// package may import which (floors.go), and what may be written where (checks.go).
//
// A package stands on a floor and imports only from floors below its own. Peers,
// packages on the same floor, never import each other: who needs a peer's answer
// declares a small interface, and internal/app passes the peer in. Tests are free
// to import what they need.
package tidy
