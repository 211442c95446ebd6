package crash

import (
	"path/filepath"
	"testing"
)

func TestJournal_KeepsWhatWasWritten(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for _, name := range []string{"b", "a"} {
		j, err := OpenJournal(filepath.Join(folder, name+".jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Write(Entry{Step: Intent, Who: name}, Entry{Step: Answer, Who: name, Order: "o"}); err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	all, err := ReadJournals(folder)
	if err != nil {
		t.Fatal(err)
	}
	// By time, not by name.
	if len(all) != 4 || all[0].Who != "b" || all[0].Step != Intent || all[3].Who != "a" || all[3].Order != "o" {
		t.Errorf("got %+v", all)
	}
}
