// Package sandbox gives each sandbox its own clock.
//
// It owns the sandboxes and how far each runs ahead of the machine's time. A
// clock that was moved makes what falls due in that time be done by the same
// sweeps that do it in live. Live has no such clock.
package sandbox
