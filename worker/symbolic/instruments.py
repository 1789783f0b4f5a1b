"""What the programs of MIDI are called (General MIDI 1, sound set)."""

# Eight of each family, in the order of their numbers.
FAMILIES = {
    "Piano": "Acoustic Grand|Bright Acoustic|Electric Grand|Honky-tonk|Electric 1|Electric 2|Harpsichord|Clavinet",
    "Percussion": "Celesta|Glockenspiel|Music Box|Vibraphone|Marimba|Xylophone|Tubular Bells|Dulcimer",
    "Organ": "Drawbar|Percussive|Rock|Church|Reed|Accordion|Harmonica|Tango Accordion",
    "Guitar": "Nylon|Steel|Jazz|Clean|Muted|Overdriven|Distortion|Harmonics",
    "Bass": "Acoustic|Fingered|Picked|Fretless|Slap 1|Slap 2|Synth 1|Synth 2",
    "Strings": "Violin|Viola|Cello|Contrabass|Tremolo|Pizzicato|Harp|Timpani",
    "Ensemble": "Strings 1|Strings 2|Synth Strings 1|Synth Strings 2|Choir|Voice|Synth Voice|Orchestra Hit",
    "Brass": "Trumpet|Trombone|Tuba|Muted Trumpet|French Horn|Section|Synth 1|Synth 2",
    "Reed": "Soprano Sax|Alto Sax|Tenor Sax|Baritone Sax|Oboe|English Horn|Bassoon|Clarinet",
    "Pipe": "Piccolo|Flute|Recorder|Pan Flute|Bottle|Shakuhachi|Whistle|Ocarina",
    "Synth Lead": "Square|Sawtooth|Calliope|Chiff|Charang|Voice|Fifths|Bass and Lead",
    "Synth Pad": "New Age|Warm|Polysynth|Choir|Bowed|Metallic|Halo|Sweep",
    "Synth Effects": "Rain|Soundtrack|Crystal|Atmosphere|Brightness|Goblins|Echoes|Sci-fi",
    "Ethnic": "Sitar|Banjo|Shamisen|Koto|Kalimba|Bagpipe|Fiddle|Shanai",
    "Percussive": "Tinkle Bell|Agogo|Steel Drums|Woodblock|Taiko|Melodic Tom|Synth Drum|Reverse Cymbal",
    "Sound Effects": "Fret Noise|Breath Noise|Seashore|Bird Tweet|Telephone|Helicopter|Applause|Gunshot",
}
# Where what it is does not stand in its name.
NEED_FAMILY = ("Piano", "Organ", "Guitar", "Bass", "Synth Lead", "Synth Pad", "Synth Effects")
SPEAK_FOR_THEMSELVES = ("Harpsichord", "Clavinet", "Accordion", "Harmonica", "Tango Accordion")
NAMES = tuple(
    f"{name} {family}" if family in NEED_FAMILY and name not in SPEAK_FOR_THEMSELVES else name
    for family, names in FAMILIES.items()
    for name in names.split("|")
)
