package space

// DesiredHook lets tests feed it what a server might say.
var DesiredHook = desiredHook
