// Package api holds the types of ODCM's own REST interface, /api/v1: plain data, one file per noun. Tags beside json
// describe the OpenAPI document that the manager serves.
package api
