module <[ plugin.name ]>

go 1.25
