// Package logout ends sign-ins: it answers relying parties that want somebody signed out, and tells those that listen when
// somebody was (OpenID Connect RP-Initiated Logout 1.0, Back-Channel Logout 1.0).
package logout
