package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Figure is one result: Souk's, the anchor's, and how they compare.
type Figure struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Anchor float64 `json:"anchor"`
	Ratio  float64 `json:"ratio"` // of value to anchor

	// AtLeast and AtMost are the floor or the ceiling that the ratio is held to;
	// 0 for none.
	AtLeast float64 `json:"-"`
	AtMost  float64 `json:"-"`
	// Rounds are what the medians were taken of.
	Rounds        []float64 `json:"-"`
	AnchorsRounds []float64 `json:"-"`
}

// newFigure takes the medians of what the rounds gave.
func newFigure(name, unit string, souk, anchor []float64) Figure {
	f := Figure{Name: name, Unit: unit, Value: median(souk), Anchor: median(anchor), Rounds: souk, AnchorsRounds: anchor}
	if f.Anchor > 0 {
		f.Ratio = f.Value / f.Anchor
	}
	return f
}

// OK tells whether the figure is within its bounds.
func (f Figure) OK() bool {
	return (f.AtLeast == 0 || f.Ratio >= f.AtLeast) && (f.AtMost == 0 || f.Ratio <= f.AtMost)
}

func (f Figure) bound() string {
	switch {
	case f.AtLeast > 0:
		return fmt.Sprintf("≥ %.1f", f.AtLeast)
	case f.AtMost > 0:
		return fmt.Sprintf("≤ %.1f", f.AtMost)
	}
	return ""
}

func (f Figure) verdict() string {
	switch {
	case f.bound() == "":
		return ""
	case f.OK():
		return "holds"
	}
	return "BROKEN"
}

// median is the middle of a list, and the mean of the two middle ones of an even
// number.
func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(list))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// percentile is the smallest value that a share of a sorted list does not exceed.
func percentile(sorted []float64, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}

// WriteJSON writes one object a line.
func WriteJSON(w io.Writer, figures []Figure) error {
	enc := json.NewEncoder(w)
	for _, f := range figures {
		if err := enc.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

// WriteTable writes a table for people.
func WriteTable(w io.Writer, figures []Figure) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "\tSOUK\tANCHOR\t\tRATIO\tBOUND\t\tROUNDS (SOUK | ANCHOR)")
	for _, f := range figures {
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%.2f\t%s\t%s\t%s | %s\n",
			f.Name, number(f.Value), number(f.Anchor), f.Unit, f.Ratio, f.bound(), f.verdict(), numbers(f.Rounds), numbers(f.AnchorsRounds))
	}
	return t.Flush()
}

func number(x float64) string {
	if x >= 100 {
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

func numbers(list []float64) string {
	out := make([]string, len(list))
	for i, x := range list {
		out[i] = number(x)
	}
	return strings.Join(out, " ")
}
