package keys

import (
	"errors"
	"time"
)

// Config says how fast keys follow one another. Every zero value means its
// default; production may take longer times.
type Config struct {
	// PublicationDelay is how long a new key is published before it is used. It
	// must be longer than others keep their copy of the published set. 10 minutes.
	PublicationDelay time.Duration
	// Overlap is how long a key is accepted after its successor took over. It
	// must be longer than anything made with it is used. 24 hours.
	Overlap time.Duration
	// Reload is how long a process goes without looking for keys that others
	// made. 10 seconds.
	Reload time.Duration
	// Purposes are those that keys are made and published for; all, if none is
	// named.
	Purposes []Purpose
}

// Validate tells what cannot work.
func (c Config) Validate() error {
	c = c.withDefaults()
	switch {
	case min(c.PublicationDelay, c.Overlap, c.Reload) < 0:
		return errors.New("keys: a time is negative")
	case c.Reload >= c.PublicationDelay:
		return errors.New("keys: a process would meet a new key in use before it has loaded it: lengthen the publication delay")
	}
	return nil
}

func (c Config) withDefaults() Config {
	c.PublicationDelay = or(c.PublicationDelay, 10*time.Minute)
	c.Overlap = or(c.Overlap, 24*time.Hour)
	c.Reload = or(c.Reload, 10*time.Second)
	if len(c.Purposes) == 0 {
		c.Purposes = Purposes()
	}
	return c
}

func or(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}
