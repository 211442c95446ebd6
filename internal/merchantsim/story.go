package merchantsim

// Story is all that a merchant's log tells of one order.
type Story struct {
	Asked     int            // how often Souk asked
	Confirmed int            // how often it was confirmed; more than once is a repetition
	Declined  int            // how often it was declined
	Released  int            // how often Souk, or its answer to a call, said that it is off
	Events    map[string]int // verified webhooks by type, each id once
	Forged    int            // answers that were spoilt on purpose
	Reference string
	Total     Money
}

// Stories sorts a log by order, for those who judge Souk by what its merchants
// saw.
func Stories(log []Entry) map[string]*Story {
	all := map[string]*Story{}
	heard := map[string]bool{}
	for _, e := range log {
		if e.OrderID == "" || e.Kind == Refused {
			continue
		}
		s := all[e.OrderID]
		if s == nil {
			s = &Story{Events: map[string]int{}}
			all[e.OrderID] = s
		}
		if e.Kind == Webhook {
			if e.Verdict == Verified && !heard[e.MessageID] {
				heard[e.MessageID] = true
				s.Events[e.Event]++
			}
			continue
		}
		s.add(e)
	}
	return all
}

func (s *Story) add(e Entry) {
	if e.Total != nil {
		s.Total = *e.Total
	}
	switch {
	case e.Kind == Asked:
		s.Asked++
	case e.Kind == Released:
		s.Released++
	case e.Kind != Answered:
	case e.Behaviour.spoils():
		s.Forged++
	case e.Decision == Confirmed:
		s.Confirmed++
		s.Reference = e.Reference
	default:
		s.Declined++
	}
}
