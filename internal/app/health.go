package app

import (
	"context"
	"encoding/json"
	"net/http"
	"sync/atomic"
)

// health answers probes.
type health struct {
	app      *App
	stopping atomic.Bool
}

// live says that the process runs: if it does not answer, restart it.
func (h *health) live(w http.ResponseWriter, _ *http.Request) {
	writeState(w, http.StatusOK, map[string]string{"status": "ok"})
}

// ready says whether it can serve. Redis is shown but not needed: without it
// Souk serves, and background work waits.
func (h *health) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
	defer cancel()
	state := map[string]string{"status": "ok", "database": "ok", "redis": "ok"}
	status := http.StatusOK
	if h.app.DB.Ping(ctx) != nil {
		state["status"], state["database"], status = "unavailable", "away", http.StatusServiceUnavailable
	}
	if h.app.Redis.Ping(ctx).Err() != nil {
		state["redis"] = "away"
	}
	if h.stopping.Load() {
		state["status"], status = "stopping", http.StatusServiceUnavailable
	}
	writeState(w, status, state)
}

func writeState(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
