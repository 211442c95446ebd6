package crash

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// Count is something that is counted for those who read the verdict.
type Count string

// The counts.
const (
	Accepted  Count = "orders accepted"
	PaidNow   Count = "paid"
	PaidBack  Count = "paid and given back, whole or part"
	DeclinedN Count = "declined"
	Cancelled Count = "cancelled"
	Expired   Count = "expired"
	Reversals Count = "reversals"
	TopUps    Count = "top-ups"
	Webhooks  Count = "webhooks heard"
	Repeats   Count = "webhooks heard again"
)

var counts = []Count{Accepted, PaidNow, PaidBack, DeclinedN, Cancelled, Expired, Reversals, TopUps, Webhooks, Repeats}

// Verdict is what a drill found.
type Verdict struct {
	Engine   Engine
	Folder   string // of journals and logs
	Took     time.Duration
	Kills    map[Kill]int64
	Counts   map[Count]int64
	Lost     map[string]int // answers that never came, by why
	Findings []Finding
}

// OK tells whether nothing was found.
func (v Verdict) OK() bool { return len(v.Findings) == 0 }

// Broke tells whether a rule was broken.
func (v Verdict) Broke(r Rule) bool { return v.count(r) > 0 }

func (v Verdict) count(r Rule) (n int) {
	for _, f := range v.Findings {
		if f.Rule == r {
			n++
		}
	}
	return n
}

func (v Verdict) countOrder(o *ordered) {
	v.Counts[Accepted]++
	switch o.told.State {
	case "PAID":
		v.Counts[PaidNow]++
	case "PARTIALLY_REFUNDED", "REFUNDED":
		v.Counts[PaidBack]++
	case "DECLINED":
		v.Counts[DeclinedN]++
	case "CANCELLED":
		v.Counts[Cancelled]++
	case "EXPIRED":
		v.Counts[Expired]++
	}
}

// findingsShown bounds how many findings of a rule are shown.
const findingsShown = 5

// Print shows verdicts side by side, and what was found.
func Print(w io.Writer, all []Verdict) {
	row := func(name string, value func(Verdict) any) {
		_, _ = fmt.Fprintf(w, "%-36s", name)
		for _, v := range all {
			_, _ = fmt.Fprintf(w, "%10v", value(v))
		}
		_, _ = fmt.Fprintln(w)
	}
	row("", func(v Verdict) any { return v.Engine })
	for _, kind := range kinds {
		row(string(kind), func(v Verdict) any {
			if n, ok := v.Kills[kind]; ok {
				return n
			}
			return "-"
		})
	}
	for _, why := range whys(all) {
		row("answers lost, sent again: "+why, func(v Verdict) any { return v.Lost[why] })
	}
	for _, c := range counts {
		row(string(c), func(v Verdict) any { return v.Counts[c] })
	}
	_, _ = fmt.Fprintln(w)
	for _, r := range rules {
		row(string(r), func(v Verdict) any { return v.count(r) })
	}
	row("took", func(v Verdict) any { return v.Took.Round(time.Second) })
	for _, v := range all {
		printFindings(w, v)
	}
}

// whys gives all reasons for which answers were lost.
func whys(all []Verdict) []string {
	some := map[string]bool{}
	for _, v := range all {
		for why := range v.Lost {
			some[why] = true
		}
	}
	return slices.Sorted(maps.Keys(some))
}

func printFindings(w io.Writer, v Verdict) {
	shown := map[Rule]int{}
	for _, f := range v.Findings {
		if shown[f.Rule]++; shown[f.Rule] <= findingsShown {
			_, _ = fmt.Fprintf(w, "%s: %s: %s\n", v.Engine, f.Rule, f.Detail)
		}
	}
	for r, n := range shown {
		if n > findingsShown {
			_, _ = fmt.Fprintf(w, "%s: %s: and %d more\n", v.Engine, r, n-findingsShown)
		}
	}
}
