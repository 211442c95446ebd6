// Package text holds what people write to its bounds, so that every domain has
// the same idea of a good name and of a good message.
//
// Lengths are counted in characters (Unicode code points), as the API documents
// them. Texts are kept as they were written but for space around them: nothing
// is normalised, since what is shown to others must be what was typed.
package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line cleans a text of one line, such as a name: space around it goes. It is
// good with 1 to most characters, none of them a control character or a break
// of lines.
func Line(s string, most int) (clean string, ok bool) {
	return bounded(s, most, func(r rune) bool {
		return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp)
	})
}

// Prose cleans a text of any number of lines, such as a message: space around it
// goes, and lines end as Unix ends them. It is good with 1 to most characters,
// no control character among them but line feed and tab.
func Prose(s string, most int) (clean string, ok bool) {
	return bounded(strings.ReplaceAll(s, "\r\n", "\n"), most, func(r rune) bool {
		return unicode.Is(unicode.Cc, r) && r != '\n' && r != '\t'
	})
}

// Token tells whether s is good as a name that another system gave, which is
// compared byte for byte: 1 to most bytes of a line, without space around them.
func Token(s string, most int) bool {
	clean, ok := Line(s, most)
	return ok && clean == s && len(s) <= most
}

func bounded(s string, most int, bad func(rune) bool) (string, bool) {
	s = strings.TrimSpace(s)
	n := utf8.RuneCountInString(s)
	return s, n >= 1 && n <= most && utf8.ValidString(s) && !strings.ContainsFunc(s, bad)
}
