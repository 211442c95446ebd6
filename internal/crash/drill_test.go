package crash_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/crash"
)

// drill runs a short drill of a build of souk.
func drill(t *testing.T, tags ...string) crash.Verdict {
	t.Helper()
	if testing.Short() {
		t.Skip("builds souk and drills it for half a minute")
	}
	dir := t.TempDir()
	souk, err := crash.Build(t.Context(), filepath.Join(dir, "souk"), tags...)
	if err != nil {
		t.Fatal(err)
	}
	all, err := crash.Run(t.Context(), crash.Config{
		Binary: souk, Engines: []crash.Engine{crash.SQLite}, Kills: 3, Clients: 8, Seed: 1,
		Every: time.Second, ConfirmWithin: 6 * time.Second, Folder: filepath.Join(dir, "drill"), Out: t.Output(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 || all[0].Kills[crash.KillServer] != 3 || all[0].Counts[crash.Accepted] < 10 {
		t.Fatalf("that was no drill: %+v", all)
	}
	return all[0]
}

func TestRun_SoundBuildPasses(t *testing.T) {
	t.Parallel()
	if v := drill(t); !v.OK() {
		t.Errorf("found %v", v.Findings)
	}
}

func TestRun_SeededDoubleChargeIsFound(t *testing.T) {
	t.Parallel()
	v := drill(t, crash.SeededTag)
	if !v.Broke(crash.ChargedTwice) {
		t.Errorf("a build that charges twice passed; found %v", v.Findings)
	}
	var report strings.Builder
	crash.Print(&report, []crash.Verdict{v})
	if !strings.Contains(report.String(), "charged twice: ") {
		t.Errorf("the report does not say what is wrong:\n%s", report.String())
	}
}
