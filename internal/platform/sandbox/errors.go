package sandbox

import "github.com/soukhq/souk/internal/base/errs"

// Refusals of moves of the clock.
var (
	ErrLive = errs.New(errs.Failed, "CLOCK_LIVE", "Live time cannot be moved. Use a token of a sandbox.")
	ErrStep = errs.New(errs.Invalid, "CLOCK_STEP", "The clock moves forward only, by a year at most.", "seconds")
)
