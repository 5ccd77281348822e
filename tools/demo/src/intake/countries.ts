/** ISO 3166-1 alpha-2, as of 2026: what is officially assigned. */
const CODES =
  `AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ
CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE
GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP
KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF
NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN
SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA
ZM ZW`.split(/\s+/);

/** Names that shops write and the table of names does not have. `Channel Islands` has two codes; parcels go by Jersey's. */
const ALIASES: Readonly<Record<string, string>> = {
  'channel islands': 'JE',
  'czech republic': 'CZ',
  eire: 'IE',
  'great britain': 'GB',
  holland: 'NL',
  'hong kong': 'HK',
  korea: 'KR',
  macedonia: 'MK',
  rsa: 'ZA',
  russia: 'RU',
  swaziland: 'SZ',
  'the netherlands': 'NL',
  turkey: 'TR',
  uk: 'GB',
  usa: 'US',
  'united states of america': 'US',
};

const byName: ReadonlyMap<string, string> = nameTable();

function nameTable(): Map<string, string> {
  const names = new Intl.DisplayNames('en', { type: 'region' });
  const table = new Map<string, string>();
  for (const code of CODES) {
    table.set(code.toLowerCase(), code);
    table.set((names.of(code) ?? code).toLowerCase(), code);
  }
  for (const [name, code] of Object.entries(ALIASES)) table.set(name, code);
  return table;
}

/** The ISO 3166-1 alpha-2 code of a country's English name, or of the code itself; undefined for what is no country. */
export function countryCode(name: string): string | undefined {
  return byName.get(name.trim().toLowerCase());
}
