package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/testkit"
)

// thing has every type of column that is written through a pipe, each also as
// one that may be empty.
type thing struct {
	ID       id.ID
	Big      int64
	Small    int32
	Text     string
	Bytes    []byte
	Doc      json.RawMessage
	Flag     bool
	At       time.Time
	Mode     mode.Mode
	Currency money.Currency

	MaybeID    *id.ID
	MaybeBig   *int64
	MaybeSmall *int32
	MaybeText  *string
	MaybeBytes []byte
	MaybeDoc   json.RawMessage
	MaybeFlag  *bool
	MaybeAt    *time.Time
}

var thingColumns = []string{
	"id uuid", "big bigint", "small integer", "txt text", "bin bytea", "doc jsonb", "flag boolean", "at timestamptz", "mode integer", "currency text",
	"maybe_id uuid", "maybe_big bigint", "maybe_small integer", "maybe_txt text", "maybe_bin bytea", "maybe_doc jsonb", "maybe_flag boolean", "maybe_at timestamptz",
}

var (
	insertThings = store.NewInsert("things", thingColumns...)
	updateThings = store.NewUpdate("things", thingColumns[0], nil, thingColumns[1:])
	readThings   = store.NewRead("things", "id uuid", "id", "big", "small", "txt", "bin", "doc", "flag", "at", "mode", "currency",
		"maybe_id", "maybe_big", "maybe_small", "maybe_txt", "maybe_bin", "maybe_doc", "maybe_flag", "maybe_at")
)

func scanThing(r store.Rows) (x thing, err error) {
	var doc, maybeDoc []byte
	err = r.Scan(&x.ID, &x.Big, &x.Small, &x.Text, &x.Bytes, &doc, &x.Flag, &x.At, &x.Mode, &x.Currency,
		&x.MaybeID, &x.MaybeBig, &x.MaybeSmall, &x.MaybeText, &x.MaybeBytes, &maybeDoc, &x.MaybeFlag, &x.MaybeAt)
	x.Doc, x.MaybeDoc = doc, maybeDoc
	return x, err
}

func column[T any](all []thing, get func(thing) T) []T {
	out := make([]T, len(all))
	for i, x := range all {
		out[i] = get(x)
	}
	return out
}

func writeThings(p *store.Pipe, w *store.Write, all []thing) {
	p.Write(w, len(all),
		column(all, func(x thing) id.ID { return x.ID }), column(all, func(x thing) int64 { return x.Big }),
		column(all, func(x thing) int32 { return x.Small }), column(all, func(x thing) string { return x.Text }),
		column(all, func(x thing) []byte { return x.Bytes }), column(all, func(x thing) json.RawMessage { return x.Doc }),
		column(all, func(x thing) bool { return x.Flag }), column(all, func(x thing) time.Time { return x.At }),
		column(all, func(x thing) mode.Mode { return x.Mode }), column(all, func(x thing) money.Currency { return x.Currency }),
		column(all, func(x thing) *id.ID { return x.MaybeID }), column(all, func(x thing) *int64 { return x.MaybeBig }),
		column(all, func(x thing) *int32 { return x.MaybeSmall }), column(all, func(x thing) *string { return x.MaybeText }),
		column(all, func(x thing) []byte { return x.MaybeBytes }), column(all, func(x thing) json.RawMessage { return x.MaybeDoc }),
		column(all, func(x thing) *bool { return x.MaybeFlag }), column(all, func(x thing) *time.Time { return x.MaybeAt }),
	)
}

// withThings runs a test on each engine, with an empty table of things.
func withThings(t *testing.T, test func(t *testing.T, db *store.DB)) {
	t.Helper()
	onBoth(t, func(t *testing.T, url string) {
		db := testkit.OpenStore(t, url)
		uuid, bytea, jsonb, at := "uuid", "bytea", "jsonb", "timestamptz"
		if !db.IsPostgres() {
			bytea, jsonb, at = "blob", "json", "datetime"
		}
		run(t, t.Context(), db, `CREATE TABLE things (id `+uuid+` NOT NULL PRIMARY KEY, big bigint NOT NULL CHECK (big >= 0), small integer NOT NULL, txt text NOT NULL,
			bin `+bytea+` NOT NULL, doc `+jsonb+` NOT NULL, flag boolean NOT NULL, at `+at+` NOT NULL, mode integer NOT NULL, currency varchar(3) NOT NULL,
			maybe_id `+uuid+`, maybe_big bigint, maybe_small integer, maybe_txt text, maybe_bin `+bytea+`, maybe_doc `+jsonb+`, maybe_flag boolean, maybe_at `+at+`)`)
		test(t, db)
	})
}

func newThing(big int64) thing {
	return thing{
		ID: id.New(), Big: big, Small: 7, Text: "it's \"ü\", {1,2} \\ NULL", Bytes: []byte{0, 1, 0xff}, Doc: json.RawMessage(`{"a": [1, "b", null]}`),
		Flag: true, At: time.Date(2026, 3, 1, 12, 30, 0, 123456000, time.UTC), Mode: 3, Currency: money.EUR,
	}
}

func fullThing(big int64) thing {
	x := newThing(big)
	x.MaybeID, x.MaybeBig, x.MaybeSmall, x.MaybeText = new(id.New()), new(int64(1<<62+1)), new(int32(-5)), new("")
	x.MaybeBytes, x.MaybeDoc, x.MaybeFlag = []byte("bytes"), json.RawMessage(`"text"`), new(false)
	x.MaybeAt = new(clock.Trim(time.Now()))
	return x
}

// readAll gives the things with some keys, in the order in which they came.
func readAll(t *testing.T, db *store.DB, keys ...id.ID) (all []thing) {
	t.Helper()
	p := begin(t, db)
	defer p.End()
	p.Select(readThings, keys, func(r store.Rows) error {
		x, err := scanThing(r)
		all = append(all, x)
		return err
	})
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return all
}

func begin(t *testing.T, db *store.DB) *store.Pipe {
	t.Helper()
	p, err := db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// insert commits things.
func insert(t *testing.T, db *store.DB, all ...thing) {
	t.Helper()
	p := begin(t, db)
	defer p.End()
	writeThings(p, insertThings, all)
	if err := p.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// same compares things, to the zone of their times. JSON is written as
// PostgreSQL writes it.
func same(a, b []thing) string {
	return cmp.Diff(a, b, cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) && a.Location() == b.Location() }))
}

func TestPipe_EveryType(t *testing.T) {
	withThings(t, func(t *testing.T, db *store.DB) {
		all := []thing{newThing(1), fullThing(1<<53 + 1), newThing(3)}
		insert(t, db, all...)
		keys := []id.ID{all[2].ID, id.New(), all[0].ID, all[1].ID}
		if d := same(all, readAll(t, db, keys...)); d != "" {
			t.Errorf("what was read is not what was inserted:\n%s", d)
		}

		// What was empty is filled, and what was filled emptied.
		changed := []thing{fullThing(4), newThing(5)}
		changed[0].ID, changed[1].ID = all[0].ID, all[1].ID
		changed[0].Currency, changed[0].Mode, changed[1].Flag = money.USD, 0, false
		p := begin(t, db)
		defer p.End()
		writeThings(p, updateThings, changed)
		if err := p.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.End()
		if d := same(append(changed, all[2]), readAll(t, db, keys...)); d != "" {
			t.Errorf("what was read is not what was updated:\n%s", d)
		}
		if n := len(readAll(t, db)); n != 0 {
			t.Errorf("no keys gave %d rows", n)
		}
	})
}

// What a pipe writes, ent must read, and the other way round.
func TestPipe_AgreesWithEnt(t *testing.T) {
	withTables(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		var (
			now    = clock.Trim(time.Now())
			lock   = store.NewLock("outbox_events", "id uuid", "id", "mode", "topic", "payload", "attempts", "due_at", "done_at")
			insert = store.NewInsert("outbox_events", "id uuid", "mode integer", "topic text", "subject_id uuid", "payload jsonb", "state text", "attempts integer", "due_at timestamptz", "created_at timestamptz")
			a, b   = id.New(), id.New()
		)
		p := begin(t, db)
		defer p.End()
		p.Write(insert, 1, []id.ID{a}, []mode.Mode{4}, []string{"x"}, []id.ID{b}, []string{`{"n": 1}`}, []string{"NEW"}, []int32{2}, []time.Time{now}, []time.Time{now})
		if err := p.Commit(ctx); err != nil {
			t.Fatal(err)
		}
		p.End()
		row, err := db.Client(ctx).OutboxEvent.Get(ctx, a)
		if err != nil {
			t.Fatal(err)
		}
		if row.Mode != 4 || row.SubjectID != b || number(t, row.Payload) != 1 || row.Attempts != 2 || !row.DueAt.Equal(now) || row.DoneAt != nil {
			t.Errorf("ent read %+v", row)
		}
		err = db.Client(ctx).OutboxEvent.Create().SetID(b).SetMode(5).SetTopic("y").SetSubjectID(a).SetPayload(json.RawMessage(`{"n": 2}`)).
			SetAttempts(3).SetDueAt(now).SetCreatedAt(now).SetDoneAt(now).Exec(ctx)
		if err != nil {
			t.Fatal(err)
		}
		p = begin(t, db)
		defer p.End()
		seen := 0
		p.Select(lock, []id.ID{b}, func(r store.Rows) error {
			var (
				key      id.ID
				m        mode.Mode
				topic    string
				payload  []byte
				attempts int32
				due      time.Time
				done     *time.Time
			)
			if err := r.Scan(&key, &m, &topic, &payload, &attempts, &due, &done); err != nil {
				return err
			}
			if key != b || m != 5 || topic != "y" || number(t, payload) != 2 || attempts != 3 || !due.Equal(now) || done == nil || !done.Equal(now) {
				t.Errorf("the pipe read %v %v %v %s %v %v %v", key, m, topic, payload, attempts, due, done)
			}
			seen++
			return nil
		})
		if err := p.Flush(ctx); err != nil || seen != 1 {
			t.Errorf("%d rows, %v", seen, err)
		}
	})
}

func number(t *testing.T, payload []byte) int {
	t.Helper()
	var x struct{ N int }
	if err := json.Unmarshal(payload, &x); err != nil {
		t.Errorf("%s: %v", payload, err)
	}
	return x.N
}

func TestPipe_BigIntKeysInOrder(t *testing.T) {
	withThings(t, func(t *testing.T, db *store.DB) {
		insert(t, db, newThing(1<<53+1), newThing(5), newThing(1<<62))
		byBig := store.NewLock("things", "big bigint", "big")
		p := begin(t, db)
		defer p.End()
		var seen []int64
		p.Select(byBig, []int64{1 << 62, 6, 1<<53 + 1, 5, 1 << 53}, func(r store.Rows) error {
			var n int64
			err := r.Scan(&n)
			seen = append(seen, n)
			return err
		})
		if err := p.Flush(t.Context()); err != nil || !slices.Equal(seen, []int64{5, 1<<53 + 1, 1 << 62}) {
			t.Errorf("%v, %v", seen, err)
		}
	})
}

func TestPipe_NothingToDo(t *testing.T) {
	withThings(t, func(t *testing.T, db *store.DB) {
		p := begin(t, db)
		defer p.End()
		writeThings(p, insertThings, nil)
		writeThings(p, updateThings, nil)
		if err := p.Commit(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestPipe_Guard(t *testing.T) {
	withThings(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		a, b := newThing(1), newThing(2)
		insert(t, db, a, b)
		guarded := store.NewUpdate("things", "id uuid", []string{"big bigint", "txt text"}, []string{"small integer"})
		update := func(bigs ...int64) error {
			p := begin(t, db)
			defer p.End()
			writeThings(p, insertThings, []thing{newThing(9)})
			p.Write(guarded, 2, []id.ID{a.ID, b.ID}, bigs, []string{a.Text, b.Text}, []int32{70, 70})
			return p.Commit(ctx)
		}
		for name, bigs := range map[string][]int64{"one row": {1, 3}, "all rows": {2, 1}} {
			err := update(bigs...)
			if !errors.Is(err, store.ErrGuard) || !store.IsRace(err) || store.IsGone(err) {
				t.Errorf("%s is not as expected: %v", name, err)
			}
			if n := count(t, ctx, db, "SELECT count(*) FROM things"); n != 2 {
				t.Errorf("%s: what came before stayed: %d rows", name, n)
			}
			if n := count(t, ctx, db, "SELECT count(*) FROM things WHERE small <> 7"); n != 0 {
				t.Errorf("%s: %d rows were changed", name, n)
			}
		}
		if err := update(1, 2); err != nil {
			t.Fatal(err)
		}
		if n := count(t, ctx, db, "SELECT count(*) FROM things WHERE small = 70"); n != 2 {
			t.Errorf("%d rows were changed", n)
		}
	})
}

// A row that is given twice must not pass for two.
func TestPipe_Guard_SameRowTwice(t *testing.T) {
	withThings(t, func(t *testing.T, db *store.DB) {
		a := newThing(1)
		insert(t, db, a)
		w := store.NewUpdate("things", "id uuid", []string{"big bigint"}, []string{"big bigint"})
		p := begin(t, db)
		defer p.End()
		p.Write(w, 2, []id.ID{a.ID, a.ID}, []int64{1, 1}, []int64{2, 2})
		if err := p.Commit(t.Context()); !errors.Is(err, store.ErrGuard) {
			t.Errorf("it said %v", err)
		}
	})
}

func TestPipe_Refusals(t *testing.T) {
	withThings(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		a := newThing(1)
		insert(t, db, a)
		again, negative := newThing(2), newThing(-1)
		again.ID = a.ID
		for name, c := range map[string]struct {
			thing  thing
			unique bool
		}{"a key that is there": {again, true}, "a value that a CHECK refuses": {negative, false}} {
			p := begin(t, db)
			writeThings(p, insertThings, []thing{newThing(8)})
			writeThings(p, insertThings, []thing{c.thing})
			writeThings(p, insertThings, []thing{newThing(9)})
			err := p.Flush(ctx)
			if err == nil || store.IsUnique(err) != c.unique || store.IsGone(err) {
				t.Errorf("%s: %v", name, err)
			}
			if again := p.Commit(ctx); !errors.Is(again, err) {
				t.Errorf("%s: a commit after that said %v", name, again)
			}
			p.End()
			if n := count(t, ctx, db, "SELECT count(*) FROM things"); n != 1 {
				t.Errorf("%s: %d rows", name, n)
			}
		}
		insert(t, db, newThing(3)) // the connection is as good as before
	})
}

func TestPipe_ScanError(t *testing.T) {
	withThings(t, func(t *testing.T, db *store.DB) {
		a, b := newThing(1), newThing(2)
		insert(t, db, a, b)
		for range 3 {
			p := begin(t, db)
			writeThings(p, insertThings, []thing{newThing(8)})
			seen := 0
			p.Select(readThings, []id.ID{a.ID, b.ID}, func(store.Rows) error { seen++; return errNo })
			if err := p.Flush(t.Context()); !errors.Is(err, errNo) || seen != 1 {
				t.Errorf("after %d rows it said %v", seen, err)
			}
			if err := p.Commit(t.Context()); !errors.Is(err, errNo) {
				t.Errorf("a commit after that said %v", err)
			}
			p.End()
		}
		if n := count(t, t.Context(), db, "SELECT count(*) FROM things"); n != 2 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestPipe_End_RollsBack(t *testing.T) {
	withThings(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		for range 20 { // more often than there are connections
			p := begin(t, db)
			p.End()
			p.End()

			p = begin(t, db)
			writeThings(p, insertThings, []thing{newThing(1)})
			p.End() // queued, never sent

			p = begin(t, db)
			writeThings(p, insertThings, []thing{newThing(1)})
			if err := p.Flush(ctx); err != nil {
				t.Fatal(err)
			}
			p.End()
		}
		if n := count(t, ctx, db, "SELECT count(*) FROM things"); n != 0 {
			t.Errorf("%d rows stayed", n)
		}
	})
}

func TestPipe_WrongNumberOfColumns(t *testing.T) {
	withThings(t, func(t *testing.T, db *store.DB) {
		p := begin(t, db)
		defer p.End()
		defer func() {
			if recover() == nil {
				t.Error("it was taken")
			}
		}()
		p.Write(insertThings, 1, []id.ID{id.New()})
	})
}

// Many pipes that read, decide and write the same row must not lose a change.
func TestPipe_Lock(t *testing.T) {
	withThings(t, func(t *testing.T, db *store.DB) {
		a := newThing(0)
		insert(t, db, a)
		lock := store.NewLock("things", "id uuid", "big")
		write := store.NewUpdate("things", "id uuid", []string{"big bigint"}, []string{"big bigint"})
		const workers, each = 6, 5
		var all sync.WaitGroup
		for range workers {
			all.Go(func() {
				for range each {
					if err := addOne(t.Context(), db, lock, write, a.ID); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if got := readAll(t, db, a.ID); got[0].Big != workers*each {
			t.Errorf("%d of %d changes are there", got[0].Big, workers*each)
		}
	})
}

func addOne(ctx context.Context, db *store.DB, lock *store.Query, write *store.Write, key id.ID) error {
	p, err := db.Begin(ctx)
	if err != nil {
		return err
	}
	defer p.End()
	var n int64
	p.Select(lock, []id.ID{key}, func(r store.Rows) error { return r.Scan(&n) })
	if err := p.Flush(ctx); err != nil {
		return err
	}
	p.Write(write, 1, []id.ID{key}, []int64{n}, []int64{n + 1})
	return p.Commit(ctx)
}

func TestPipe_Gone(t *testing.T) {
	t.Parallel()
	for name, flushed := range map[string]bool{"before anything was sent": false, "after a flush": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, url := t.Context(), migratedPostgres(t)
			db, killer := testkit.OpenStore(t, url), testkit.OpenStore(t, url)
			for range 3 {
				p := begin(t, db)
				if flushed {
					p.Select(store.NewLock("accounts", "id bigint", "id"), []int64{1}, func(store.Rows) error { return nil })
					if err := p.Flush(ctx); err != nil {
						t.Fatal(err)
					}
				}
				kill(t, killer, p.Backend())
				if err := p.Commit(ctx); !store.IsGone(err) {
					t.Errorf("a commit on a dead connection: %v", err)
				}
				if err := p.Commit(ctx); !store.IsGone(err) {
					t.Errorf("another: %v", err)
				}
				p.End()
			}
			p := begin(t, db)
			defer p.End()
			if err := p.Commit(ctx); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// The connection dies while the server is at COMMIT: nobody can know whether it
// was done.
func TestPipe_GoneDuringCommit(t *testing.T) {
	t.Parallel()
	ctx, url := t.Context(), testkit.Postgres(t)
	db, killer := testkit.OpenStore(t, url), testkit.OpenStore(t, url)
	run(t, ctx, db, "CREATE TABLE coins (id uuid PRIMARY KEY)")
	run(t, ctx, db, "CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$")
	run(t, ctx, db, "CREATE CONSTRAINT TRIGGER linger AFTER INSERT ON coins DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION linger()")
	p := begin(t, db)
	defer p.End()
	p.Write(store.NewInsert("coins", "id uuid"), 1, []id.ID{id.New()})
	done := make(chan error)
	pid := p.Backend()
	go func() { done <- p.Commit(ctx) }()
	testkit.Eventually(t, ctx, func() error {
		if count(t, ctx, killer, "SELECT count(*) FROM pg_stat_activity WHERE query = 'COMMIT' AND wait_event = 'PgSleep' AND datname = current_database()") == 0 {
			return errors.New("it is not at COMMIT yet")
		}
		return nil
	})
	kill(t, killer, pid)
	if err := <-done; !store.IsGone(err) {
		t.Errorf("it said %v", err)
	}
	p.End()
	if n := count(t, ctx, db, "SELECT count(*) FROM coins"); n != 0 {
		t.Errorf("%d rows", n)
	}
}

// A caller who gives up while the server works does not know the outcome either.
func TestPipe_DeadlineDuringCommit(t *testing.T) {
	t.Parallel()
	url := migratedPostgres(t)
	db, holder := testkit.OpenStore(t, url), testkit.OpenStore(t, url)
	err := holder.InTx(t.Context(), func(tx context.Context) error {
		run(t, tx, holder, "LOCK TABLE accounts")
		for range 3 {
			p := begin(t, db)
			p.Select(store.NewLock("accounts", "id bigint", "id"), []int64{1}, func(store.Rows) error { return nil })
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			if err := p.Commit(ctx); !store.IsGone(err) {
				t.Errorf("it said %v", err)
			}
			cancel()
			p.End()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	p := begin(t, db)
	defer p.End()
	if err := p.Commit(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// kill ends a server process and waits until it is gone.
func kill(t *testing.T, db *store.DB, pid uint32) {
	t.Helper()
	var ended bool
	rows, err := db.SQL(t.Context()).QueryContext(t.Context(), "SELECT pg_terminate_backend($1, 10000)", int(pid))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	if !rows.Next() || rows.Scan(&ended) != nil || !ended {
		t.Fatalf("process %d is still there: %v", pid, rows.Err())
	}
}
