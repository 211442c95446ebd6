package wallet

import (
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/core/ledger"
)

// Book is the part that funding transfers have in the executor's batches.
type Book struct {
	transfers *ledger.Table[id.ID, row]
}

// row is a transfer, and the state in which the database has it.
type row struct {
	Transfer
	was State
}

// NewBook makes the book; the executor and the service share it.
func NewBook() *Book { return &Book{ledger.NewTable[id.ID, row](ledger.CompareIDs)} }

// Reset begins a batch.
func (b *Book) Reset() { b.transfers.Reset() }

// Mark begins a command.
func (b *Book) Mark() { b.transfers.Mark() }

// Rollback takes a refused command back.
func (b *Book) Rollback() { b.transfers.Rollback() }

func (b *Book) get(transfer id.ID) (Transfer, bool) {
	r, ok := b.transfers.Get(transfer)
	return r.Transfer, ok
}

func (b *Book) set(t Transfer) {
	r, _ := b.transfers.Get(t.ID)
	r.Transfer = t
	b.transfers.Set(t.ID, r)
}
