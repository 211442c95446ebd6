package main

import "fmt"

type configCmd struct{}

// Help is what souk config --help says below its first line.
func (configCmd) Help() string {
	return `
Later beats earlier: defaults, the YAML file (--config or SOUK_CONFIG), the
environment (SOUK_HTTP_ADDR sets http.addr), flags. What is printed can be used
as a file, once its secrets are filled in.
`
}

// Run prints the configuration.
func (configCmd) Run(g *Globals) error {
	cfg, err := g.load()
	if err != nil {
		return err
	}
	text, err := cfg.Redacted()
	if err != nil {
		return err
	}
	_, err = fmt.Print(text)
	return err
}
