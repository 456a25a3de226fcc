"""Columns of special categories: every name that campaign tools have for them, in three languages and all spellings, and what must not be taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.permission.special_columns import Special, by_content, by_name
from features.permission.special_words import CATEGORIES

CAMPAIGN_TOOLS = [
    *("religion", "church", "ethnicity", "demo", "party", "previous_party", "inferred_party", "party_member", "support_level", "inferred_support_level"),
    *("ethnicities", "party_identification", "parties", "gender_identity", "additional_gender_identities"),
]
NAMES = {
    "religion or belief": ["religious_affiliation", "faith", "Église", "croyance", "convictionPhilosophique", "godsdienst", "Geloofs-overtuiging", "kerk"],
    "racial or ethnic origin": ["race", "raceId", "ethnic group", "origine ethnique", "couleurDePeau", "etnische_afkomst", "afkomst", "huidskleur"],
    "political opinion": [
        "political_party",
        "politicalParty",
        "Political Party",
        "politicalparty",
        "vote_intention",
        "parti",
        "opinionsPolitiques",
        "partij",
        "stemintentie",
    ],
    "trade union membership": ["union_member", "UnionMembership", "trade-union", "appartenance_syndicale", "syndiqué", "vakbondslid", "vakbond"],
    "health": [
        "health_status",
        "disability",
        "disabilities",
        "HIVStatus",
        "handicapé",
        "état de santé",
        "maladie",
        "ziekte",
        "gezondheidstoestand",
        "diagnosis",
    ],
    "sex life or sexual orientation": ["sexual_orientation", "sexLife", "vie sexuelle", "orientationSexuelle", "seksuele_geaardheid", "lgbtq"],
    "biometric data": ["biometrics", "biometric_template", "fingerprint", "empreinte_digitale", "vingerafdruk"],
    "genetic data": ["genetic_risk", "DNA", "données génétiques", "genetische_test"],
    "criminal convictions": ["convictions", "criminalRecord", "casier_judiciaire", "strafblad"],
}
ORDINARY_NAMES = [
    *(
        "email",
        "first_name",
        "Achternaam",
        "prénom",
        "sex",
        "gender",
        "marital_status",
        "born_at",
        "birth_year",
        "area",
        "language",
        "langue",
        "taal",
        "status",
    ),
    *(
        "household_size",
        "tenure",
        "income",
        "occupation",
        "employer",
        "tag_list",
        "membership_level_name",
        "zip",
        "street",
        "department",
        "département",
        "partner",
    ),
    *("third_party", "thirdPartyId", "party_size", "street_party", "partial", "date_depart", "region", "district", "trace", "grace", "brass_band", "syndic"),
    *("syndication", "race_time", "democracy", "demographics", "police", "politie", "discrimination", "ancestor", "outpatients_km", "support_tickets", "level"),
    *(
        "device_fingerprint",
        "political_purpose",
        "political_ads_consent",
        "country_of_the_european_union",
        "reunion",
        "stemmed",
        "kerkrade",
        "",
        "__",
        "17",
        "é",
    ),
]
SPECIAL_VALUES = {
    "religions": ("religion or belief", ["Catholic", "Protestant", "Muslim", "Jewish", "None", "Other"]),
    "religions of one row each": ("religion or belief", ["catholique", "musulman", "juive", "sans religion", "inconnu"]),
    "religions in Dutch": ("religion or belief", ["Rooms-katholiek", "Hervormd", "Moslim", "geen"]),
    "one religion and nothing else": ("religion or belief", ["Muslim", "unknown"]),
    "Christian among others": ("religion or belief", ["christian", "orthodox", "hindu"]),
    "ethnic groups of a census": ("racial or ethnic origin", ["White British", "Black African", "South Asian", "Mixed", "Other"]),
    "ethnic groups, American": ("racial or ethnic origin", ["White", "Black", "Hispanic", "Asian", "Native American", "unknown"]),
    "ethnic groups in Dutch": ("racial or ethnic origin", ["Marokkaans", "Turks", "Surinaams", "Antilliaans", "anders"]),
    "left and right": ("political opinion", ["left", "centre", "right"]),
    "left and right in French": ("political opinion", ["gauche", "centre gauche", "droite", "extrême droite", "ne se prononce pas"]),
    "ideologies": ("political opinion", ["socialist", "liberal", "green", "conservative"]),
    "Belgian parties": ("political opinion", ["N-VA", "PS", "MR", "cd&v", "Groen", "Ecolo", "PVDA"]),
    "French parties": ("political opinion", ["LFI", "PS", "EELV", "LR", "RN"]),
    "British parties": ("political opinion", ["Labour", "Conservative", "Lib Dem", "Green", "SNP"]),
    "Dutch parties": ("political opinion", ["VVD", "D66", "PVV", "GroenLinks-PvdA", "SP", "Volt"]),
    "levels of support": ("political opinion", ["Strong support", "Lean support", "Undecided", "Lean oppose", "Strong oppose"]),
    "unions": ("trade union membership", ["FGTB", "CSC", "CGSLB", "none"]),
    "illnesses": ("health", ["diabetes", "asthma", "none"]),
    "one illness": ("health", ["Diabetes", "no"]),
    "handicaps": ("health", ["malvoyant", "sourde", "handicap moteur", "aucun"]),
    "handicaps in Dutch": ("health", ["slechthorend", "rolstoelgebruiker", "geen"]),
    "orientations": ("sex life or sexual orientation", ["heterosexual", "gay", "lesbian", "prefer not to say"]),
    "orientations in Dutch": ("sex life or sexual orientation", ["heteroseksueel", "homoseksueel", "bi"]),
    "several in one cell": ("religion or belief", ["catholic;humanist", "muslim / sunni", "jewish"]),
}
ORDINARY_VALUES = {
    "Belgian towns": "Brussels,Antwerpen,Gent,Liège,Charleroi,Namur,Leuven,Mons,Hasselt,Aalst,Kortrijk,La Louvière,Centre,Tournai,Halle,Saint-Gilles,Roeselare",
    "British areas": "Kent,Essex,Surrey,Black Country,White City,Westminster,Greenwich,Leeds,York,Labourne,Belfast,Orkney,Church Stretton,Christchurch",
    "Italian towns": "Roma,Milano,Latina,Torino,Napoli",
    "one area": "Centre",
    "quarters by their side of the river": "left bank,right bank",
    "compass": "centre,north,south,east,west",
    "codes of areas": "SP,PS,MR,LR,RN,BN1,SW1A,75011,1000,Z001,Z002",
    "languages": "English,French,Dutch,German,Arabic,Turkish,Kurdish,Berber,Chinese,Polish,Afrikaans,Irish",
    "languages in French": "français,néerlandais,anglais,arabe,turc,berbère,kabyle,polonais",
    "languages in Dutch": "Nederlands,Frans,Engels,Arabisch,Turks,Koerdisch,Chinees,Fries",
    "codes of languages": "fr,nl,en,de,ar,tr,ps,mr,rn,sp,lr,nl-BE",
    "countries": "Belgium,France,Morocco,Turkey,China,India,Pakistan,Ireland",
    "nationalities": "Belgian,French,Dutch,Moroccan,Italian,Polish,Romanian,Turkish,Spanish,Portuguese",
    "statuses": "member,former_member,regular_contact,contact,active,lapsed,green,red,amber",
    "topics": "housing,climate,wages,health,transport,schools,energy,taxes,care,pensions,water,safety,religion,racism,disability,unions,parties",
    "first names": "Christian,Marie,Mohamed,Jan,Islam,Sarah,Roman,Grace,Fatima,Emma,Liam,Gay,Rosa,Bernadette,Luc,Israel,Blanche,Sofia",
    "titles": "Mr,Ms,Mrs,Dr",
    "genders": "f,m,x",
    "genders in words": "female,male,non-binary,other",
    "colours": "white,black,brown,green,red,blue",
    "hands": "left,right",
    "appetite for risk": "conservative,moderate,aggressive",
    "answers": "strongly agree,agree,neutral,disagree,strongly disagree",
    "yes and no": "yes,no,unknown,prefer not to say",
    "tenure": "owner,tenant,social_tenant",
    "marital statuses": "single,married,divorced,widowed,civil union",
    "occupations": "nurse,teacher,farmer,priest,politician,retired,independent,student",
    "kinds of sources": "petition,event,membership,broker,contest,voter_roll,email_platform,canvass",
    "campaigns": "housing-2024-05,climate-march-2025,greens-debate,labour-day,world-cancer-day,diabetes-2026-03,spring",
    "households and strata": "household-0000012,household-0000013,region-1,region-2",
    "emptiness": ",unknown,n/a",
    "nothing": "",
}


@pytest.mark.parametrize("name", CAMPAIGN_TOOLS)
def test_what_campaign_tools_call_them_is_found(name):
    assert by_name(name) is not None


@pytest.mark.parametrize(("category", "name"), [(category, name) for category, names in NAMES.items() for name in names])
def test_names_are_found_in_three_languages_and_all_spellings(category, name):
    assert by_name(name) == category


@pytest.mark.parametrize("name", ORDINARY_NAMES)
def test_ordinary_names_are_left_alone(name):
    assert by_name(name) is None


@given(st.sampled_from(CAMPAIGN_TOOLS), st.sampled_from(["snake", "camel", "space", "shout", "kebab", "prefix"]))
def test_the_spelling_of_a_name_does_not_matter(name, spelling):
    words = name.split("_")
    spelt = {
        "snake": name,
        "camel": words[0] + "".join(map(str.title, words[1:])),
        "space": " ".join(map(str.title, words)),
        "shout": name.upper(),
        "kebab": "-".join(words),
        "prefix": name if name == "demo" else f"nb_{name}_2",
    }[spelling]
    assert by_name(spelt) == by_name(name)


@pytest.mark.parametrize(("category", "values"), SPECIAL_VALUES.values(), ids=SPECIAL_VALUES)
def test_values_are_found(category, values):
    assert by_content(dict.fromkeys(values, 7)) == category
    assert by_content({value.upper(): 7 for value in values}) == category


@pytest.mark.parametrize("values", ORDINARY_VALUES.values(), ids=ORDINARY_VALUES)
def test_ordinary_values_are_left_alone(values):
    assert by_content(dict.fromkeys(values.split(","), 7)) is None


def test_most_rows_are_enough_where_the_rest_is_misspelt():
    assert by_content({"catholic": 500, "muslim": 300, **{f"remark {number}": 1 for number in range(40)}}) == "religion or belief"


def test_a_few_rows_among_many_are_not_enough():
    assert by_content({"catholic": 2, "muslim": 1, **{f"town {number}": 5 for number in range(40)}}) is None


@given(st.dictionaries(st.text(max_size=20), st.integers(1, 10**6), max_size=30))
def test_any_text_is_looked_at_without_an_error(values):
    assert by_content(values) in {None, *(category.words for category in CATEGORIES)}
    for value in values:
        assert by_name(value) in {None, *(category.words for category in CATEGORIES)}


@pytest.mark.parametrize("category", CATEGORIES, ids=lambda category: category.id)
def test_no_value_is_listed_twice(category):
    listed = [entry.strip() for text in (category.telling, category.common) for entry in text.replace("\n", " ").split(",") if entry.strip()]
    twice = {entry for entry in listed if listed.count(entry) > 1}
    assert not twice


def test_what_is_said_of_a_column_names_rule_and_code_and_how_it_was_found():
    assert str(Special("x", "health", "name")) == "its name tells of health, special_category_column, rule L15"
    assert str(Special("x", "health", "content")) == "most of its values tell of health, special_category_column, rule L15"
