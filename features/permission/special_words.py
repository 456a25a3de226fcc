"""The words that tell of a special category, as data: names of columns and values, in English, French and Dutch, each entry between commas.

Sources: GDPR, articles 9(1) and 10; the people fields of NationBuilder, VAN, Action Network and OSDI. Accents, case and plural endings do not matter.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Category:
    """A special category: `names` of columns, `stems` that tell anywhere in a word of a name, values that are `telling`, and `common` words.

    Names hold wherever they stand in a column's name, those of `whole` only when they are all of it.
    `common` values have other meanings too (a colour, a side, a language): they count only beside telling ones. `alone`: one telling value settles
    it when a column holds nothing else.
    """

    id: str
    words: str
    names: str
    stems: tuple[str, ...] = ()
    whole: str = ""
    telling: str = ""
    common: str = ""
    alone: bool = True


RELIGION = Category(
    "religion",
    "religion or belief",
    names="""church, faith, belief, denomination, mosque, synagogue, baptised, baptized, philosophical conviction, eglise, croyance, confession, culte,
        conviction philosophique, mosquee, bapteme, kerk, kerkgenootschap, geloof, geloofsovertuiging, godsdienst, levensbeschouwing, levensovertuiging,
        moskee""",
    stems=("religi", "kerkgenoot", "godsdienst", "geloofsovertuig", "levensbeschouw"),
    telling="""catholic, roman catholic, protestant, anglican, church of england, church of scotland, baptist, methodist, presbyterian, lutheran, calvinist,
        evangelical, pentecostal, mormon, quaker, jehovah's witness, jehovahs witness, eastern orthodox, greek orthodox, christianity, muslim, moslem, islam,
        islamic, sunni, shia, shiite, jewish, judaism, hindu, hinduism, buddhist, buddhism, sikh, sikhism, jain, bahai, atheist, agnostic, no religion, pagan,
        humanist, chretien, chretienne, catholique, protestante, anglicane, evangelique, pentecotiste, temoin de jehovah, christianisme, catholicisme,
        protestantisme, musulman, musulmane, juif, juive, judaisme, hindou, hindoue, hindouisme, bouddhiste, bouddhisme, athee, agnostique, sans religion,
        libre penseur, christen, christelijk, katholiek, rooms katholiek, rooms-katholiek, protestants, anglicaans, hervormd, nederlands hervormd,
        gereformeerd, moslim, islamitisch, joods, jood, jodendom, hindoe, hindoeisme, boeddhist, boeddhistisch, boeddhisme, agnost, agnostisch, atheistisch,
        vrijzinnig, geen religie, geen godsdienst""",
    common="rc, christian, orthodox, orthodoxe, evangelisch, secular, laique, spiritual, baha'i, reformed",
)
ETHNICITY = Category(
    "ethnicity",
    "racial or ethnic origin",
    names="""race, racial, racial origin, skin colour, skin color, tribe, caste, ancestry, origine raciale, couleur de peau, couleur peau, ascendance, ras,
        afkomst, afstamming, huidskleur, migratieachtergrond, migration background, migrant background""",
    stems=("ethni", "etnisch", "etnicit"),
    whole="demo",
    telling="""asian, south asian, east asian, asian american, hispanic, latino, latina, latinx, african american, afro-american, native american, american
        indian, alaska native, pacific islander, arab, romani, gypsy, irish traveller, white british, white irish, white other, black british, black african,
        black caribbean, black or african american, african caribbean, caribbean, mixed race, biracial, multiracial, multiple ethnic groups, caucasian,
        aboriginal, maori, moroccan, surinamese, antillean, pakistani, bangladeshi, maghrebi, north african, sub-saharan african, middle eastern, asiatique,
        maghrebin, maghrebine, antillais, antillaise, metis, metisse, tsigane, gitan, gitane, caucasien, caucasienne, nord-africain, subsaharien,
        subsaharienne, marocain, marocaine, aziatisch, marokkaans, surinaams, antilliaans, hindoestaans, noord-afrikaans, gemengd, kaukasisch""",
    common="""white, black, brown, mixed, african, european, roma, rom, traveller, kurdish, kurd, berber, turkish, chinese, indian, irish, indigenous, blanc,
        blanche, noir, noire, africain, africaine, europeen, europeenne, arabe, kabyle, turc, turque, berbere, blank, wit, zwart, turks, arabisch, koerdisch,
        europees, afrikaans, chinees""",
    alone=False,
)
POLITICS = Category(
    "politics",
    "political opinion",
    names="""party, party id, partisan, partisanship, ideology, political, politics, support level, support score, supporter level, inferred support, leaning,
        vote intention, voting intention, vote choice, voted for, vote for, candidate preference, left right, parti, parti politique, niveau de soutien,
        intention de vote, orientation politique, opinion politique, ideologie, gauche droite, partij, steunniveau, stemintentie, stemvoorkeur, stemkeuze,
        links rechts""",
    stems=("politic", "politiq", "politiek"),
    whole="lean, vote, stem",
    telling="""socialist, social democrat, social democratic, communist, marxist, liberal, conservative, conservatives, centrist, centre, center, far left,
        far right, hard left, hard right, left wing, right wing, left-wing, right-wing, centre left, centre right, center left, center right, nationalist,
        libertarian, anarchist, populist, ecologist, strong support, lean support, lean oppose, strong oppose, strong supporter, strong opponent, labour,
        labour party, conservative party, tory, tories, liberal democrat, liberal democrats, lib dem, lib dems, libdem, green party, snp, scottish national
        party, plaid cymru, reform uk, ukip, brexit party, sinn fein, dup, sdlp, democrat, democrats, republican, republicans, extreme gauche, extreme droite,
        centre gauche, centre droit, socialiste, communiste, liberale, conservateur, conservatrice, ecologiste, nationaliste, libertaire, centriste, la france
        insoumise, lfi, parti communiste, pcf, eelv, europe ecologie les verts, les verts, les ecologistes, les republicains, rassemblement national, front
        national, la republique en marche, lrem, reconquete, parti socialiste, ump, mouvement reformateur, les engages, cdh, ecolo, ptb, uiterst links,
        extreem links, uiterst rechts, extreem rechts, centrumlinks, centrumrechts, socialistisch, communistisch, liberaal, conservatief, nationalistisch,
        christendemocraat, christendemocratisch, christen-democratisch, sociaaldemocraat, sociaal-democratisch, n-va, nva, vlaams belang, cd&v, cdenv, open
        vld, vld, pvda, vvd, pvv, d66, cda, groenlinks, groenlinks-pvda, sgp, christenunie, fvd, forum voor democratie, nsc, ja21, bij1, partij voor de
        dieren, pvdd, partij van de arbeid, socialistische partij, 50plus""",
    common="""left, right, green, greens, progressive, moderate, independent, undecided, reform, alliance, gauche, droite, vert, verts, renaissance, modem,
        horizons, lr, rn, ps, mr, defi, links, rechts, centrum, midden, groen, progressief, progressiste, vooruit, sp.a, sp, denk, volt, bbb""",
    alone=False,
)
UNION = Category(
    "union",
    "trade union membership",
    names="""union member, union membership, union name, trade union, labour union, labor union, member of union, unionised, unionized, syndicat, syndical,
        syndicale, syndique, syndiquee, appartenance syndicale, membre syndicat, vakbond, vakbondslid, vakbondslidmaatschap, vakvereniging""",
    stems=("vakbond", "vakverenig"),
    telling="fgtb, abvv, csc, acv, cgslb, aclvb, cgt, cfdt, cftc, cfe-cgc, unsa, fsu, force ouvriere, fnv, cnv, unison, gmb, usdaw, rmt, nasuwt, afl-cio, seiu",
    common="fo, unite, sud, vcp, solidaires, ver.di, teamsters, neu, pcs",
    alone=False,
)
HEALTH = Category(
    "health",
    "health",
    names="""health, illness, disease, disability, disabled, medication, pregnant, pregnancy, hiv, hiv status, vaccinated, vaccination, vaccination status,
        covid status, blood type, wheelchair, impairment, patient, allergy, sante, maladie, invalidite, invalide, medicament, enceinte, grossesse, vaccine,
        groupe sanguin, etat de sante, gezondheid, ziekte, aandoening, beperking, invaliditeit, arbeidsongeschikt, medicatie, zwanger, gevaccineerd,
        bloedgroep, rolstoel""",
    stems=("handicap", "disabilit", "diagnos", "medical", "medisch", "gezondheid", "illness"),
    telling="""cancer, diabetes, diabetic, asthma, epilepsy, depression, hiv, hiv positive, aids, dementia, alzheimer, alzheimers, alzheimer's, parkinson,
        parkinsons, parkinson's, multiple sclerosis, arthritis, autism, autistic, adhd, dyslexia, deaf, visually impaired, hearing impaired, visual
        impairment, hearing impairment, mobility impairment, physical disability, mental illness, mental health condition, learning disability, learning
        difficulty, wheelchair user, heart disease, hypertension, high blood pressure, copd, schizophrenia, bipolar disorder, tuberculosis, hepatitis, crohn's
        disease, chronic illness, long covid, leukemia, leukaemia, disabled, not disabled, non disabled, down syndrome, diabete, asthme, epilepsie, vih, sida,
        demence, maladie d'alzheimer, maladie de parkinson, sclerose en plaques, arthrose, autisme, autiste, tdah, dyslexie, sourd, sourde, aveugle,
        malvoyant, malvoyante, malentendant, malentendante, handicap moteur, handicap mental, handicap visuel, handicap auditif, maladie mentale, maladie
        cardiaque, schizophrenie, trouble bipolaire, tuberculose, hepatite, handicape, handicapee, en fauteuil roulant, kanker, suikerziekte, astma,
        depressie, dementie, ziekte van parkinson, multiple sclerose, reuma, doof, slechthorend, slechtziend, lichamelijke beperking, verstandelijke
        beperking, visuele beperking, auditieve beperking, psychische aandoening, hartziekte, schizofrenie, hoge bloeddruk, rolstoelgebruiker""",
    common="ms, blind, stroke, anxiety, obesity, allergy, long term condition, healthy, anxiete, avc, allergie, blinde, angst, beroerte",
)
ORIENTATION = Category(
    "orientation",
    "sex life or sexual orientation",
    names="""sex life, sexuality, lgbt, lgbtq, lgbti, lgbtqi, lgbtqia, gay, gender identity, transgender, vie sexuelle, sexualite, identite de genre,
        transgenre, geaardheid, seksleven, seksualiteit, genderidentiteit, lhbti, lhbt""",
    stems=("sexual", "sexuel", "seksue", "lgbtq"),
    telling="""heterosexual, homosexual, gay, lesbian, bisexual, asexual, pansexual, queer, gay or lesbian, heterosexuel, heterosexuelle, homosexuel,
        homosexuelle, lesbienne, bisexuel, bisexuelle, asexuel, asexuelle, pansexuel, heteroseksueel, homoseksueel, lesbisch, biseksueel, aseksueel,
        panseksueel""",
    common="straight, hetero, homo, bi, gai, trans",
)
BIOMETRIC = Category(
    "biometric",
    "biometric data",
    names="""biometric, fingerprint, faceprint, face template, face embedding, facial recognition, iris scan, voiceprint, voice print, palm print, empreinte
        digitale, reconnaissance faciale, vingerafdruk, gezichtsherkenning, irisscan""",
    stems=("biometri",),
)
GENETIC = Category(
    "genetic",
    "genetic data",
    names="dna, genome, genotype, haplogroup, adn, genetique, genoom, erfelijk, erfelijke aandoening",
    stems=("geneti",),
)
CONVICTION = Category(
    "conviction",
    "criminal convictions",
    names="""criminal, criminal record, conviction, convicted, offence, offense, felony, felon, prison, condamnation, casier judiciaire, infraction penale,
        judiciaire, veroordeling, veroordeeld, strafblad, strafrechtelijk""",
    stems=("strafrecht",),
)
CATEGORIES = (POLITICS, RELIGION, ETHNICITY, UNION, HEALTH, ORIENTATION, BIOMETRIC, GENETIC, CONVICTION)

EXEMPT = """third party, first party, counter party, party size, house party, watch party, garden party, birthday party, dinner party, street party, party
    date, race time, race number, race distance, running race, arms race, device fingerprint, browser fingerprint, key fingerprint, file fingerprint,
    political ads, political purpose, data health, health check"""
"""Names in which a word that tells means something else; they are taken out before the rest of the name is looked at."""

NEUTRAL = """yes, no, y, n, true, false, 0, 1, unknown, not known, other, others, none, na, n/a, nil, null, not stated, not applicable, not provided, refused,
    declined, prefer not to say, rather not say, oui, non, inconnu, inconnue, autre, autres, aucun, aucune, sans, non communique, ne se prononce pas, prefere
    ne pas repondre, ja, nee, onbekend, ander, andere, anders, geen, niet bekend, wil ik niet zeggen, liever niet zeggen"""
"""Answers that say nothing of any category: left out before values are counted."""
