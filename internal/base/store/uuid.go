package store

import (
	"fmt"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/soukhq/souk/internal/base/id"
)

// readIDsPlainly has ids travel as their 16 bytes. Without it they go through
// their text, both ways, which costs more than all else that a batch of payments
// does in Go.
func readIDsPlainly(m *pgtype.Map) {
	m.RegisterType(&pgtype.Type{Name: "uuid", OID: pgtype.UUIDOID, Codec: idCodec{}})
}

// idCodec is pgx's codec with a short way for id.ID.
type idCodec struct{ pgtype.UUIDCodec }

func (c idCodec) PlanEncode(m *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	if _, ok := value.(id.ID); ok && format == pgtype.BinaryFormatCode {
		return idPlan{}
	}
	return c.UUIDCodec.PlanEncode(m, oid, format, value)
}

func (c idCodec) PlanScan(m *pgtype.Map, oid uint32, format int16, target any) pgtype.ScanPlan {
	if _, ok := target.(*id.ID); ok && format == pgtype.BinaryFormatCode {
		return idPlan{}
	}
	return c.UUIDCodec.PlanScan(m, oid, format, target)
}

type idPlan struct{}

func (idPlan) Encode(value any, buf []byte) ([]byte, error) {
	u := value.(id.ID)
	return append(buf, u[:]...), nil
}

func (idPlan) Scan(src []byte, target any) error {
	u := target.(*id.ID)
	if len(src) != len(u) {
		return fmt.Errorf("an id of %d bytes", len(src)) // NULL has none
	}
	copy(u[:], src)
	return nil
}
