package sandbox

import "time"

// StepMax is how far a clock may be moved at once.
const StepMax = 365 * 24 * time.Hour

// reachMax is how far a clock may run ahead in all. Beyond, times that are
// derived from it would leave what the databases can hold.
const reachMax = 100 * 365 * 24 * time.Hour
