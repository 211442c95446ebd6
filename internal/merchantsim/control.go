package merchantsim

import (
	"cmp"
	"encoding/json"
	"mime"
	"net"
	"net/http"
	"strconv"
)

// control adds what the server's owner may do while it runs. A real product
// server has none of it.
func (s *Server) control(mux *http.ServeMux) {
	mux.HandleFunc("GET /log", owner(s.serveLog))
	mux.HandleFunc("GET /behave", owner(s.servePlans))
	mux.HandleFunc("POST /behave", owner(s.takePlan))
	mux.HandleFunc("POST /configure", owner(s.takeSettings))
	mux.HandleFunc("POST /answer", owner(s.takeHurry))
	mux.HandleFunc("POST /token", owner(s.giveToken))
}

// owner lets in those who call from this machine, other than by way of a proxy
// or of a web page that somebody here looks at: a page of a stranger's cannot
// send JSON without asking first (Fetch §3.3.2).
func owner(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		address := net.ParseIP(host)
		media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		switch {
		case address == nil || !address.IsLoopback() || r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != "" || r.Header.Get("Origin") != "":
			fail(w, problem{http.StatusForbidden, "NOT_OWNER", "only from this machine"})
		case r.Method == http.MethodPost && media != "application/json":
			fail(w, problem{http.StatusUnsupportedMediaType, "CONTENT_TYPE", "send application/json"})
		default:
			h(w, r)
		}
	}
}

// servedEntries is how many entries are shown unless more are asked for.
const servedEntries = 100

// serveLog shows the newest entries, of one order if it is named.
func (s *Server) serveLog(w http.ResponseWriter, r *http.Request) {
	all, counts := s.log.Recent()
	order, limit := r.FormValue("orderId"), servedEntries
	if n, err := strconv.Atoi(r.FormValue("limit")); err == nil && n >= 0 {
		limit = n
	}
	shown := []Entry{}
	for _, e := range all {
		if order == "" || e.OrderID == order {
			shown = append(shown, e)
		}
	}
	shown = shown[max(0, len(shown)-limit):]
	writeJSON(w, http.StatusOK, map[string]any{"counts": counts, "entries": shown})
}

func (s *Server) servePlans(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{"plans": s.plans.list(), "behaviours": Behaviours()})
}

func (s *Server) takePlan(w http.ResponseWriter, r *http.Request) {
	var p Plan
	if !readJSON(w, r, &p) {
		return
	}
	if err := s.Behave(p); err != nil {
		fail(w, problem{http.StatusBadRequest, "INVALID", err.Error()})
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) takeSettings(w http.ResponseWriter, r *http.Request) {
	var c Settings
	if !readJSON(w, r, &c) {
		return
	}
	if err := s.Configure(c); err != nil {
		fail(w, problem{http.StatusBadRequest, "INVALID", err.Error()})
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) takeHurry(w http.ResponseWriter, r *http.Request) {
	if err := s.AnswerNow(r.Context()); err != nil {
		fail(w, problem{http.StatusServiceUnavailable, "UNAVAILABLE", err.Error()})
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// giveToken makes a token for Souk's API, with which the owner puts products and
// webhook endpoints.
func (s *Server) giveToken(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Audience string `json:"audience"`
	}
	if !readJSON(w, r, &in) {
		return
	}
	token, err := s.APIToken(cmp.Or(in.Audience, defaultAudience))
	if err != nil {
		fail(w, problem{http.StatusConflict, "NOT_REGISTERED", err.Error()})
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"token": token})
}

// defaultAudience is whom tokens are for unless Souk is configured otherwise.
const defaultAudience = "souk"

// readJSON reads a body, and answers when it cannot.
func readJSON(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields() // a slip of the pen would go unnoticed
	if err := d.Decode(into); err != nil {
		fail(w, problem{http.StatusBadRequest, "INVALID", err.Error()})
		return false
	}
	return true
}
