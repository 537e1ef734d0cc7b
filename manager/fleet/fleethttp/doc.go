// Package fleethttp is the fleet's door for people and programs: the pages below /servers and the operations below
// /api/v1/servers. Agents have a door of their own, fleetagents.
package fleethttp
