// Package mode keeps play money and real money apart.
//
// Every owned row and every account carries a mode from its first day: live, or
// one numbered sandbox. Nothing crosses from one to another, and the ledger's
// tables refuse it by themselves.
package mode

import "strconv"

// Mode is 0 for live, and the sandbox's number otherwise.
type Mode int32

// Live is real money.
const Live Mode = 0

// Max is the highest sandbox number; it takes 20 bits of an account's id.
const Max Mode = 1<<20 - 1

// IsLive tells real money from play money.
func (m Mode) IsLive() bool { return m == Live }

// Valid tells whether m is live or a sandbox number that an account id can hold.
func (m Mode) Valid() bool { return m >= 0 && m <= Max }

// String is "live" or "sandbox-N".
func (m Mode) String() string {
	if m.IsLive() {
		return "live"
	}
	return "sandbox-" + strconv.Itoa(int(m))
}
