// Command conform runs protocol test vectors through Souk's own packages.
//
// It reads a JSON object a line, {"suite": "jws", …}, and writes a JSON object a
// line, in the same order: the suite's answer, {"valid":false} for what cannot be
// read or does not verify, {"skip":true} for a suite or an algorithm that Souk
// has no use for. No input makes it stop but the end.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// maxLine bounds one vector; a longer line is unreadable.
const maxLine = 16 << 20

func main() {
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), `Usage: conform < vectors > answers

Reads test vectors, a JSON object a line, and answers each with a line.

Suites: %s
`, strings.Join(slices.Sorted(maps.Keys(suites)), ", "))
	}
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "conform:", err)
		os.Exit(1)
	}
}

// run answers line after line. What is written goes out whenever no further line
// is waiting, so that the other side may also ask and wait.
func run(in io.Reader, out io.Writer) error {
	r, w := bufio.NewReaderSize(in, 64<<10), bufio.NewWriter(out)
	for {
		line, err := readLine(r)
		if len(line) > 0 {
			if err := write(w, answer(line)); err != nil {
				return err
			}
		}
		if err == nil && r.Buffered() > 0 {
			continue
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading: %w", err)
		}
	}
}

// readLine gives the next line without white space around it. Of a line beyond
// the limit it gives as much as shows that it is too long.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line) <= maxLine {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return bytes.TrimSpace(line), err
		}
	}
}

func write(w *bufio.Writer, reply any) error {
	b, err := json.Marshal(reply)
	if err != nil {
		return err
	}
	if _, err := w.Write(b); err != nil {
		return err
	}
	return w.WriteByte('\n')
}
