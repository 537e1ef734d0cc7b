package rest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"

	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/limit"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

// address is the client's, without its port.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// origin is the address of this server as the client called it. A proxy that ends TLS says so.
func origin(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https") {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// bound keeps callers to the rate limiting policies: users by themselves, others by their address. The server's own pages
// asked for were counted as pages or not at all; load balancers look at the node's health as often as they like.
func (h *Handler) bound(w http.ResponseWriter, r *http.Request, who permission.Principal, found *route) error {
	if r.Context().Value(asking{}) != nil || found != nil && found.action.Path == "octopusservernodes/ping" {
		return nil
	}
	policies, err := h.Policies(r.Context())
	if err != nil {
		return err
	}
	policy, caller, name := policies.Unauthenticated, address(r), "requests"
	if who.ID != "" {
		policy, caller, name = policies.Human, who.ID, who.Username
	}
	v := h.Limiter.Take(policy, caller)
	if v.Tell {
		h.exceeded(r, who, policy, name)
	}
	if !v.Refused {
		return nil
	}
	w.Header().Set("Retry-After", strconv.Itoa(limit.Seconds(v.After)))
	return problem.New(http.StatusTooManyRequests, "Too many requests: the rate limiting policy '%s' allows %d a minute. Please try again in %d seconds.",
		policy.Name, policy.RequestsPerMinute, limit.Seconds(v.After))
}

// exceeded leaves an event of a policy that was exceeded, where the caller is a user: whoever is nobody could else fill the
// audit trail from many addresses.
func (h *Handler) exceeded(r *http.Request, who permission.Principal, policy limit.Policy, name string) {
	h.Logger.WarnContext(r.Context(), "a rate limiting policy was exceeded", "policy", policy.Name, "caller", name, "address", address(r))
	if who.ID == "" {
		return
	}
	system := permission.System()
	system.Address = who.Address
	err := h.Service.Transact(context.WithoutCancel(r.Context()), collection.Request{Principal: system}, func(c *collection.Change) error {
		c.Note("RateLimitExceeded", "", fmt.Sprintf("rate limit policy %s exceeded for %s from %s", policy.Name, name, who.Address), name, []string{who.ID, policy.ID}, collection.ChangeDetails{})
		return nil
	})
	if err != nil {
		h.Logger.ErrorContext(r.Context(), "an event could not be kept", "error", err)
	}
}

// attempt bounds attempts to sign in.
func (h *Handler) attempt(policy limit.Policy, caller string) error {
	v := h.Limiter.Take(policy, caller)
	if !v.Refused {
		return nil
	}
	return problem.New(http.StatusTooManyRequests, "You have had too many login attempts in a short period of time. Please try again in %d seconds.", limit.Seconds(v.After))
}
