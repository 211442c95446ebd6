package store_test
import ("testing";"reflect";"github.com/soukhq/souk/internal/base/store")
func TestDbg(t *testing.T){ withThings(t, func(t *testing.T, db *store.DB){
 all := []thing{newThing(1), fullThing(2)}
 insert(t, db, all...)
 got := readAll(t, db, all[0].ID, all[1].ID)
 t.Log(len(got))
 for i := range got { a,b := reflect.ValueOf(all[i]), reflect.ValueOf(got[i])
  for f := range a.NumField() { if !reflect.DeepEqual(a.Field(f).Interface(), b.Field(f).Interface()) { t.Logf("%s %s %#v %#v\n", db.Engine(), a.Type().Field(f).Name, a.Field(f).Interface(), b.Field(f).Interface()) } } }
})}
